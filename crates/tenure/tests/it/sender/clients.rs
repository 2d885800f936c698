//! Stock clients: openid-client with DPoP, authlib and requests with certificates.
