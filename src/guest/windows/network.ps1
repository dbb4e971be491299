# Gives a network adapter its address, and ends well only when the adapter has it. Running it twice does no harm.
# From before: device, nic, family (dhcp, IPv4, IPv6), address, prefix, gateway, dns, search; all of them text.
$adapters = @(Get-NetAdapter | Sort-Object -Property ifIndex)
if ($device -ne '') {
    $adapters = @(Get-NetAdapter -Name $device)
    $nic = '1'
}
if ($adapters.Count -lt [int]$nic) {
    throw "there is no network adapter $nic"
}
$index = $adapters[[int]$nic - 1].ifIndex
$servers = @($dns.Split(' ') | Where-Object { $_ -ne '' })
$suffixes = @($search.Split(' ') | Where-Object { $_ -ne '' })
if ($family -eq 'dhcp') {
    Set-NetIPInterface -InterfaceIndex $index -Dhcp Enabled
    if ($servers.Count -eq 0) {
        Set-DnsClientServerAddress -InterfaceIndex $index -ResetServerAddresses
    }
} else {
    $there = @(Get-NetIPAddress -InterfaceIndex $index -AddressFamily $family -ErrorAction SilentlyContinue | Where-Object { $_.IPAddress -eq $address -and [string]$_.PrefixLength -eq $prefix })
    $default = '0.0.0.0/0'
    if ($family -eq 'IPv6') {
        $default = '::/0'
    }
    if ($there.Count -eq 0) {
        Set-NetIPInterface -InterfaceIndex $index -AddressFamily $family -Dhcp Disabled
        Remove-NetIPAddress -InterfaceIndex $index -AddressFamily $family -Confirm:$false -ErrorAction SilentlyContinue
        if ($gateway -ne '') {
            Remove-NetRoute -InterfaceIndex $index -DestinationPrefix $default -Confirm:$false -ErrorAction SilentlyContinue
            New-NetIPAddress -InterfaceIndex $index -IPAddress $address -PrefixLength ([int]$prefix) -DefaultGateway $gateway | Out-Null
        } else {
            New-NetIPAddress -InterfaceIndex $index -IPAddress $address -PrefixLength ([int]$prefix) | Out-Null
        }
    }
}
if ($servers.Count -gt 0) {
    Set-DnsClientServerAddress -InterfaceIndex $index -ServerAddresses $servers
}
if ($suffixes.Count -gt 0) {
    Set-DnsClientGlobalSetting -SuffixSearchList $suffixes
}
if ($family -eq 'dhcp') {
    exit 0
}
# Windows looks for others with the same address first.
for ($n = 0; $n -lt 120; $n += 1) {
    $seen = @(Get-NetIPAddress -InterfaceIndex $index -AddressFamily $family -ErrorAction SilentlyContinue | Where-Object { $_.IPAddress -eq $address })
    foreach ($one in $seen) {
        if ([string]$one.AddressState -eq 'Preferred') {
            exit 0
        }
        if ([string]$one.AddressState -eq 'Duplicate') {
            throw "another machine has the address $address already"
        }
    }
    Start-Sleep -Milliseconds 250
}
throw "adapter $nic doesn't have the address $address after 30 seconds"
