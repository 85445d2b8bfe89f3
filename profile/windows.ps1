#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Sets up a VPN connection of Windows to a Sallyport gateway, or removes it.

.DESCRIPTION
Imports the gateway's CA into the store of the machine, and the device's
certificate into that of the machine or, for EAP-TLS, of the user. Makes an
IKEv2 connection for all users of this machine, and gives it the one proposal
that the gateway wants, routes and DNS rules. Running it again brings everything
back to this state. It changes nothing else: no global setting, no firewall, no
check of certificates.

.PARAMETER Remove
Removes the connection, its DNS rules and the device's certificate. The CA is
removed when no other certificate comes from it and no other such connection is
left.

.PARAMETER Pkcs12
The file with the device's key; by default the one beside this script.

.PARAMETER Password
Of that file. It is asked for when it is needed and not given.

.PARAMETER LockDns
For a connection that takes all traffic: lets all names be resolved by the
tunnel's resolvers alone. Without the tunnel no name can be resolved then, so
the gateway must be given by address.
#>
[CmdletBinding()]
param(
    [switch]$Remove,
    [string]$Pkcs12,
    [System.Security.SecureString]$Password,
    [switch]$LockDns
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

#:values

$here = if ($PSScriptRoot) { $PSScriptRoot } else { (Get-Location).Path }
$ca = [System.Security.Cryptography.X509Certificates.X509Certificate2]::new([Convert]::FromBase64String($CaBase64))
$device = $null # a user with a password has no certificate
if ($DeviceBase64) { $device = [System.Security.Cryptography.X509Certificates.X509Certificate2]::new([Convert]::FromBase64String($DeviceBase64)) }
$method = if ($EapXml) { 'Eap' } else { 'MachineCertificate' }

function Write-Done([string]$text) { Write-Host ('  ok    ' + $text) }
function Write-Same([string]$text) { Write-Host ('  same  ' + $text) }
function Write-Note([string]$text) { Write-Host ('  note  ' + $text) -ForegroundColor Yellow }

function Get-Connection { Get-VpnConnection -Name $Name -AllUserConnection -ErrorAction SilentlyContinue }

# Under strict mode a property of nothing is an error: hence the filter.
function Get-Prefixes { @((Get-Connection).Routes | Where-Object { $_ } | ForEach-Object { $_.DestinationPrefix }) }

function Get-OwnRules { @(Get-DnsClientNrptRule | Where-Object { $_.Comment -eq $Name }) }

function Test-Stored([string]$store, [string]$thumbprint) {
    Test-Path -LiteralPath ('Cert:\' + $store + '\' + $thumbprint)
}

function Remove-Stored([string]$store, [string]$thumbprint, [switch]$WithKey) {
    $path = 'Cert:\' + $store + '\' + $thumbprint
    if (-not (Test-Path -LiteralPath $path)) { return }
    if ($WithKey) { Remove-Item -LiteralPath $path -DeleteKey } else { Remove-Item -LiteralPath $path }
    Write-Done ('certificate removed from ' + $store + ': ' + $thumbprint)
}

function Assert-Disconnected {
    $old = Get-Connection
    if ($old -and $old.ConnectionStatus -ne 'Disconnected') {
        throw ('the connection "' + $Name + '" is in use: disconnect it first with  rasdial "' + $Name + '" /disconnect')
    }
}

function Remove-Rules {
    foreach ($rule in Get-OwnRules) {
        Remove-DnsClientNrptRule -Name $rule.Name -Force
        Write-Done ('DNS rule removed: ' + ($rule.Namespace -join ' '))
    }
}

# The newest suite that this Windows can be set to.
function Select-Suite {
    $build = [Environment]::OSVersion.Version.Build
    foreach ($suite in $Suites) {
        if ($build -ge $suite.MinBuild) { return $suite }
    }
    throw ('this Windows is build ' + $build + '; the policy of the gateway needs AES-GCM for IKE, which came with Windows 11 (build ' + $Suites[0].MinBuild + ')')
}

function Install-Authority {
    if (Test-Stored 'LocalMachine\Root' $ca.Thumbprint) {
        Write-Same ('CA is trusted: ' + $ca.Subject)
    } else {
        $file = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid().ToString() + '.cer')
        try {
            [IO.File]::WriteAllBytes($file, $ca.RawData)
            Import-Certificate -FilePath $file -CertStoreLocation 'Cert:\LocalMachine\Root' | Out-Null
        } finally {
            Remove-Item -LiteralPath $file -Force -ErrorAction SilentlyContinue
        }
        Write-Done ('CA trusted by this machine: ' + $ca.Subject)
    }
}

function Install-Certificate {
    if (-not $device) { return }
    $my = 'Cert:\' + $MyStore
    $mine = Get-ChildItem -Path $my | Where-Object { $_.Thumbprint -eq $device.Thumbprint -and $_.HasPrivateKey }
    if ($mine) {
        Write-Same ('certificate of the device: ' + $device.Subject)
        return
    }
    if (-not $Pkcs12) { $script:Pkcs12 = Join-Path $here $Pkcs12Name }
    if (-not (Test-Path -LiteralPath $Pkcs12)) { throw ('there is no file ' + $Pkcs12 + ' with the key of the device: put it beside this script, or name it with -Pkcs12') }
    if (-not $Password) { $script:Password = Read-Host -AsSecureString -Prompt ('Password of ' + $Pkcs12) }
    $imported = @(Import-PfxCertificate -FilePath $Pkcs12 -CertStoreLocation $my -Password $Password)
    if (-not ($imported | Where-Object { $_.Thumbprint -eq $device.Thumbprint -and $_.HasPrivateKey })) {
        throw ($Pkcs12 + ' does not hold the key of ' + $device.Subject)
    }
    Write-Done ('certificate of the device imported: ' + $device.Subject)
}

function Install-Connection($suite) {
    $settings = @{
        Name = $Name
        ServerAddress = $Server
        TunnelType = 'IKEv2'
        AuthenticationMethod = $method
        EncryptionLevel = 'Required'
        SplitTunneling = $SplitTunneling
        AllUserConnection = $true
        Force = $true
    }
    if ($EapXml) { $settings.EapConfigXmlStream = [xml]$EapXml } else { $settings.MachineCertificateIssuerFilter = $ca }
    if ($DnsSuffix) { $settings.DnsSuffix = $DnsSuffix }
    $old = Get-Connection
    if ($old -and $old.DnsSuffix -and -not $DnsSuffix) { # no setting takes a suffix away
        Remove-VpnConnection -Name $Name -AllUserConnection -Force
        $old = $null
    }
    if ($old) {
        Set-VpnConnection @settings
        Write-Done ('connection brought up to date: ' + $Name)
    } else {
        Add-VpnConnection @settings
        Write-Done ('connection made: ' + $Name + ' to ' + $Server)
    }
    $ipsec = @{
        ConnectionName = $Name
        AllUserConnection = $true
        Force = $true
        EncryptionMethod = $suite.EncryptionMethod
        IntegrityCheckMethod = $suite.IntegrityCheckMethod
        DHGroup = $suite.DHGroup
        CipherTransformConstants = $suite.CipherTransformConstants
        AuthenticationTransformConstants = $suite.AuthenticationTransformConstants
        PfsGroup = $suite.PfsGroup
    }
    Set-VpnConnectionIPsecConfiguration @ipsec
    Write-Done ('IKE ' + $suite.EncryptionMethod + ' ' + $suite.IntegrityCheckMethod + ' ' + $suite.DHGroup + ', ESP ' + $suite.CipherTransformConstants + ' ' + $suite.AuthenticationTransformConstants + ', PFS ' + $suite.PfsGroup)
}

function Install-Routes {
    $have = @(Get-Prefixes)
    foreach ($prefix in $have) {
        if ($Routes -notcontains $prefix) {
            Remove-VpnConnectionRoute -ConnectionName $Name -DestinationPrefix $prefix -AllUserConnection
            Write-Done ('route removed: ' + $prefix)
        }
    }
    foreach ($prefix in $Routes) {
        if ($have -contains $prefix) {
            Write-Same ('route ' + $prefix)
        } else {
            Add-VpnConnectionRoute -ConnectionName $Name -DestinationPrefix $prefix -AllUserConnection
            Write-Done ('route ' + $prefix)
        }
    }
}

function Install-Rules {
    Remove-Rules
    if ($DnsServers.Count -eq 0) { return }
    $spaces = @($DnsDomains | ForEach-Object { $_; '.' + $_ })
    if ($LockDns) { $spaces = @('.') }
    foreach ($space in $spaces) {
        Add-DnsClientNrptRule -Namespace $space -NameServers $DnsServers -Comment $Name | Out-Null
        Write-Done ('DNS ' + $space + ' asks ' + ($DnsServers -join ' '))
    }
    if ($spaces.Count -eq 0 -and -not $SplitTunneling) {
        Write-Note 'resolvers of other adapters may still be asked; -LockDns forbids it'
    }
}

# Windows may have taken less than it was told: compare before saying so.
function Assert-Result {
    $now = Get-Connection
    if (-not $now) { throw 'the connection is not there' }
    if ($now.ServerAddress -ne $Server -or $now.TunnelType -ne 'Ikev2' -or $now.SplitTunneling -ne $SplitTunneling -or @($now.AuthenticationMethod) -notcontains $method) {
        throw 'the connection is not as it was set'
    }
    $have = @(Get-Prefixes)
    foreach ($prefix in $Routes) {
        if ($have -notcontains $prefix) { throw ('the route ' + $prefix + ' is missing') }
    }
    if (-not (Test-Stored 'LocalMachine\Root' $ca.Thumbprint)) { throw 'the certificate of the CA is missing' }
    if ($device -and -not (Test-Stored $MyStore $device.Thumbprint)) { throw 'the certificate of the device is missing' }
    $how = if ($device) { 'rasdial "' + $Name + '"' } else { 'rasphone -d "' + $Name + '"' }
    Write-Done ('checked; connect with  ' + $how)
}

function Install-All {
    if ($LockDns -and (-not $ServerIsAddress -or $SplitTunneling -or $DnsServers.Count -eq 0)) {
        throw '-LockDns needs a gateway that is given by address, and a connection that takes all traffic and has resolvers'
    }
    $suite = Select-Suite
    Assert-Disconnected
    Install-Authority
    Install-Certificate
    Install-Connection $suite
    Install-Routes
    Install-Rules
    Assert-Result
}

function Remove-All {
    Assert-Disconnected
    Remove-Rules
    if (Get-Connection) {
        Remove-VpnConnection -Name $Name -AllUserConnection -Force
        Write-Done ('connection removed: ' + $Name)
    }
    if ($device) { Remove-Stored $MyStore $device.Thumbprint -WithKey }
    $others = @(Get-ChildItem -Path 'Cert:\LocalMachine\My', 'Cert:\CurrentUser\My' | Where-Object { $_.Issuer -eq $ca.Subject })
    $others += @(Get-VpnConnection -AllUserConnection | Where-Object { $_.Name -like 'Sallyport *' })
    if ($others.Count -eq 0) {
        Remove-Stored 'LocalMachine\Root' $ca.Thumbprint
        foreach ($store in 'LocalMachine\CA', 'CurrentUser\CA') { Remove-Stored $store $ca.Thumbprint } # where the import of a PKCS#12 may put it
    } else {
        Write-Note 'the CA stays: another certificate or connection needs it'
    }
    if ((Get-Connection) -or @(Get-OwnRules).Count -gt 0) { throw 'something is left' }
    Write-Done 'checked: nothing is left'
}

Write-Host $Comment
if ($Remove) { Remove-All } else { Install-All }
