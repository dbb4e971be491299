# Gives the computer its name, which counts after a restart: it ends with 3010 when one is needed. From before: name.
$label = $name.Split('.')[0]
$suffix = ''
if ($name.Length -gt $label.Length) {
    $suffix = $name.Substring($label.Length + 1)
}
$need = 0
if ([Environment]::MachineName -ne $label) {
    Rename-Computer -NewName $label -Force | Out-Null
    $need = 3010
}
if ($suffix -ne '') {
    $key = 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters'
    if ((Get-ItemProperty -Path $key).'NV Domain' -ne $suffix) {
        Set-ItemProperty -Path $key -Name 'NV Domain' -Value $suffix
        $need = 3010
    }
}
exit $need
