# bao policy write LOGIN -
path "auth/token/accessors"        { capabilities = ["list", "sudo"] }
path "auth/token/accessors/"       { capabilities = ["list", "sudo"] }
path "auth/token/lookup-accessor"  { capabilities = ["update"] }
path "sys/auth"                    { capabilities = ["read"] }
path "auth/+/role"                 { capabilities = ["list"] }
path "auth/+/role/"                { capabilities = ["list"] }
path "auth/+/role/+"               { capabilities = ["read"] }
path "auth/+/role/+/role-id"       { capabilities = ["read"] }
path "identity/entity/id"          { capabilities = ["list"] }
path "identity/entity/id/"         { capabilities = ["list"] }
path "identity/entity/id/+"        { capabilities = ["read"] }
path "identity/lookup/entity"      { capabilities = ["update"] }
path "sys/leases"                  { capabilities = ["read", "list", "sudo"] }
path "sys/leases/lookup"           { capabilities = ["update", "list", "sudo"] }
path "sys/leases/lookup/"          { capabilities = ["list", "sudo"] }
path "sys/leases/lookup/*"         { capabilities = ["list", "sudo"] }
