# Makes a Windows guest one that can be cloned: Sysprep takes out what is one machine's own, and the next boot gives each
# clone its own. It says that it has succeeded by a file; the machine is shut down afterwards like any other.
$tag = "$env:SystemRoot\System32\Sysprep\Sysprep_succeeded.tag"
if (Test-Path -LiteralPath $tag) {
    Remove-Item -LiteralPath $tag -Force
}
$sysprep = Start-Process -FilePath "$env:SystemRoot\System32\Sysprep\sysprep.exe" -ArgumentList '/generalize', '/oobe', '/quit', '/quiet' -Wait -PassThru
if (-not (Test-Path -LiteralPath $tag)) {
    throw "Sysprep failed (exit code $($sysprep.ExitCode)): $env:SystemRoot\System32\Sysprep\Panther\setuperr.log says why"
}
