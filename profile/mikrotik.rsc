
# What an earlier run made is removed first, from the user to the used.
/ip ipsec identity remove [find where peer=$spName]
/ip ipsec peer remove [find where name=$spName]
/ip ipsec policy remove [find where group=$spName]
/ip ipsec policy group remove [find where name=$spName]
/ip ipsec mode-config remove [find where name=$spName]
/ip ipsec proposal remove [find where name=$spName]
/ip ipsec profile remove [find where name=$spName]

:if ($spRemove = "yes") do={
  /certificate remove [find where name=$spName]
  /certificate remove [find where name=($spName . "-ca")]
  :put ($spName . ": removed")
} else={
  :local spByCertificate (($spAuth = "digital-signature") or ($spEAP = "eap-tls"))

  # The key's file is deleted once the key is in the certificate store.
  :if ($spByCertificate and ([:len [/file find where name=$spKey]] > 0)) do={
    /certificate remove [find where name=$spName]
    /certificate import file-name=$spCert name=$spName passphrase=""
    /certificate import file-name=$spKey name=$spName passphrase=""
    /file remove [find where name=$spKey]
  }
  :if (($spAuth != "pre-shared-key") and ([:len [/certificate find where name=($spName . "-ca")]] = 0)) do={
    /certificate import file-name=$spCA name=($spName . "-ca") passphrase=""
  }
  :if ($spByCertificate and ([:len [/certificate find where name=$spName private-key=yes]] = 0)) do={
    :error ($spName . ": the certificate has no private key: copy the key's file to the router and import this script again")
  }

  /ip ipsec profile add name=$spName enc-algorithm=$spIKEEnc hash-algorithm=$spIKEHash dh-group=$spIKEGroup lifetime=$spIKELife dpd-interval=30s nat-traversal=yes
  /ip ipsec proposal add name=$spName enc-algorithms=$spESPEnc auth-algorithms=$spESPAuth pfs-group=$spESPGroup lifetime=$spESPLife
  /ip ipsec mode-config add name=$spName responder=no use-responder-dns=$spResolvers src-address-list=$spName
  /ip ipsec policy group add name=$spName
  /ip ipsec policy add template=yes group=$spName proposal=$spName src-address=0.0.0.0/0 dst-address=0.0.0.0/0 comment=$spComment
  /ip ipsec peer add name=$spName address=$spGateway exchange-mode=ike2 profile=$spName comment=$spComment
  :if ($spAuth = "digital-signature") do={
    /ip ipsec identity add peer=$spName auth-method=digital-signature certificate=$spName my-id=$spLocalID remote-id=$spRemoteID generate-policy=port-strict mode-config=$spName policy-template-group=$spName comment=$spComment
  }
  :if ($spAuth = "pre-shared-key") do={
    /ip ipsec identity add peer=$spName auth-method=pre-shared-key secret=$spSecret my-id=$spLocalID remote-id=$spRemoteID generate-policy=port-strict mode-config=$spName policy-template-group=$spName comment=$spComment
  }
  :if ($spEAP = "eap-tls") do={
    /ip ipsec identity add peer=$spName auth-method=eap eap-methods=$spEAP certificate=$spName my-id=$spLocalID remote-id=$spRemoteID generate-policy=port-strict mode-config=$spName policy-template-group=$spName comment=$spComment
  }
  # The password is typed on the router.
  :if (($spAuth = "eap") and ($spEAP != "eap-tls")) do={
    /ip ipsec identity add peer=$spName auth-method=eap eap-methods=$spEAP certificate="" username=$spUser my-id=$spLocalID remote-id=$spRemoteID generate-policy=port-strict mode-config=$spName policy-template-group=$spName comment=$spComment
  }
  :put ($spName . ": set up; see /ip ipsec active-peers print")
}
