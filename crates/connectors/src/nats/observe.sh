# A user of the system account; its JWT and its seed are the connector's login: nsc generate creds --account SYS --name LOGIN
nsc add user --account SYS --name LOGIN --allow-pub '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP' --allow-pub '$SYS.REQ.SERVER.PING.ACCOUNTZ' --allow-pub '$SYS.REQ.SERVER.PING.CONNZ' --allow-sub '_INBOX.>'
