# A user of the system account; its JWT and its seed are the connector's login: nsc generate creds --account SYS --name LOGIN
# In the same line stand the seeds of a signing key of the operator and of one of the account.
nsc add user --account SYS --name LOGIN --allow-pub '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP' --allow-pub '$SYS.REQ.SERVER.PING.ACCOUNTZ' --allow-pub '$SYS.REQ.SERVER.PING.CONNZ' --allow-pub '$SYS.REQ.SERVER.*.KICK' --allow-pub '$SYS.REQ.CLAIMS.UPDATE' --allow-sub '_INBOX.>'
nsc edit operator --sk generate
nsc edit account --name ACCOUNT --sk generate
