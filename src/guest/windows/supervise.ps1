# What a guest with Windows runs for us: PowerShell from version 3 on, in a process of its own that begins with this text.
#
# As in supervise.sh of Unix guests the log is a list of file names, with the same records. Here one process does all of it: it
# runs a job, reads what that prints from the files that cmd.exe redirects it to, and writes the log.
#
# From before: $name, which names the work directory.

$ErrorActionPreference = 'Stop'
$bytes = New-Object byte[] 12288
$strict = New-Object Text.UTF8Encoding $false, $true
$watch = [Diagnostics.Stopwatch]::StartNew()

# Text from base64.
function Text($data) {
    return [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($data))
}

# Changes with each restart: when a process began that every boot starts once. Its time isn't set anew with the clock.
function Boot {
    try {
        return [string](Get-Process -Name wininit).StartTime.ToFileTimeUtc()
    } catch {
        return [string](Get-WmiObject Win32_OperatingSystem).LastBootUpTime
    }
}

# The environment as a new session would have it: what an installer adds to it counts from the next job on.
function Surroundings {
    $root = $env:SystemRoot
    $own = [Environment]::GetFolderPath('UserProfile')
    $set = @{
        SystemDrive = $root.Substring(0, 2)
        windir = $root
        ComSpec = "$root\System32\cmd.exe"
        USERPROFILE = $own
        HOMEDRIVE = $own.Substring(0, 2)
        HOMEPATH = $own.Substring(2)
        APPDATA = [Environment]::GetFolderPath('ApplicationData')
        LOCALAPPDATA = [Environment]::GetFolderPath('LocalApplicationData')
        ProgramData = [Environment]::GetFolderPath('CommonApplicationData')
        ALLUSERSPROFILE = [Environment]::GetFolderPath('CommonApplicationData')
        ProgramFiles = [Environment]::GetFolderPath('ProgramFiles')
        'ProgramFiles(x86)' = [Environment]::GetFolderPath('ProgramFilesX86')
        CommonProgramFiles = [Environment]::GetFolderPath('CommonProgramFiles')
        COMPUTERNAME = [Environment]::MachineName
        USERNAME = [Environment]::UserName
        USERDOMAIN = [Environment]::UserDomainName
    }
    foreach ($key in @($set.Keys)) {
        [Environment]::SetEnvironmentVariable($key, $set[$key])
    }
    $path = ''
    foreach ($scope in 'Machine', 'User') {
        $all = [Environment]::GetEnvironmentVariables($scope)
        foreach ($key in @($all.Keys)) {
            if ($key -eq 'Path') {
                $path = "$path;$($all[$key])"
            } elseif ($key -ne 'USERNAME') {
                [Environment]::SetEnvironmentVariable($key, $all[$key])
            }
        }
    }
    if ($path -ne '') {
        [Environment]::SetEnvironmentVariable('Path', $path.Trim(';'))
    }
}

# An empty file.
function Touch($path) {
    [IO.File]::WriteAllText($path, '')
}

# Removes a file. One that something which was started still has open stays until the next batch.
function Forget($path) {
    try {
        [IO.File]::Delete($path)
    } catch {
        return
    }
}

# --- the log ---

function Newlog {
    $script:seq = 0
    $script:seg = 0
    # Names of files are short where paths are: 259 characters are the most that every program takes.
    $script:room = [int][Math]::Floor((215 - $dir.Length) / 4) * 3
}

function Rec($record) {
    if ($script:seq % 64 -eq 63) {
        [void][IO.Directory]::CreateDirectory("$dir\s$($script:seg + 1)")
    }
    while ($true) {
        try {
            Touch "$dir\s$($script:seg)\$($script:seq).$record"
            break
        } catch [IO.IOException] {
            # A disk that is full may have room again later.
            Start-Sleep -Seconds 1
        }
    }
    $script:seq += 1
    if ($script:seq % 64 -eq 0) {
        $script:seg += 1
    }
}

function Fact($text) {
    $data = [Text.Encoding]::UTF8.GetBytes($text)
    for ($at = 0; $at -lt $data.Length; $at += 60) {
        $rest = [Math]::Min(60, $data.Length - $at)
        Rec ('h' + [BitConverter]::ToString($data, $at, $rest).Replace('-', '').ToLower())
    }
}

# --- what jobs print ---

# A piece of output as it is to be told: text in the console's old encoding becomes UTF-8.
function Piece($length, $raw) {
    if (-not $raw) {
        try {
            [void]$strict.GetCharCount($bytes, 0, $length)
        } catch {
            $oem = [Text.Encoding]::GetEncoding([Globalization.CultureInfo]::CurrentCulture.TextInfo.OEMCodePage)
            return , [Text.Encoding]::UTF8.GetBytes($oem.GetString($bytes, 0, $length))
        }
    }
    $piece = New-Object byte[] $length
    [Array]::Copy($bytes, $piece, $length)
    return , $piece
}

# How much of what was read can be told now: up to a line's end, or all; never a part of a character.
function Whole($length, $last) {
    if ($last) {
        return $length
    }
    for ($at = $length; $at -gt 0; $at -= 1) {
        if ($bytes[$at - 1] -eq 10) {
            return $at
        }
    }
    $at = $length
    while ($at -gt 0 -and $length - $at -lt 4 -and ($bytes[$at - 1] -band 0xC0) -eq 0x80) {
        $at -= 1
    }
    if ($at -gt 0 -and $bytes[$at - 1] -ge 0xC0) {
        $at -= 1
    }
    if ($at -eq 0) {
        return $length
    }
    return $at
}

# Tells new output of a stream, as far as the budget goes; what is beyond goes into files to be fetched, or is left out.
function Drain($stream, $letter, $big, $job, $raw, $last) {
    $file = $stream.file
    while ($true) {
        $left = $file.Length - $file.Position
        if ($left -le 0) {
            return
        }
        if ($script:tokens -le 0) {
            if ($chunk) {
                # Many small pieces would be as slow as the list.
                if (-not $last -and $left -lt 65536) {
                    return
                }
                $size = [Math]::Min($left, 8388608)
                $script:chunks += 1
                $to = [IO.File]::Create("$dir\c$($script:chunks)")
                $rest = $size
                while ($rest -gt 0) {
                    $got = $file.Read($bytes, 0, [int][Math]::Min($rest, 12288))
                    $to.Write($bytes, 0, $got)
                    $rest -= $got
                }
                $to.Close()
                Rec "$big$job.$($script:chunks).$size"
                continue
            }
            if (-not $last) {
                return
            }
            if ($left -gt 49152) {
                $gap = $left - 32768
                $file.Position = $file.Position + $gap
                Rec "g$letter$job.$gap"
            }
        }
        $start = $file.Position
        $got = $file.Read($bytes, 0, 12288)
        $length = Whole $got ($last -and $got -eq $left)
        $file.Position = $start + $length
        $piece = Piece $length $raw
        for ($at = 0; $at -lt $piece.Length; $at += $script:room) {
            $size = [Math]::Min($script:room, $piece.Length - $at)
            Rec "$letter$job.$([Convert]::ToBase64String($piece, $at, $size).Replace('/', '_'))"
        }
        $script:tokens -= $length
        if ($got -lt 12288 -and -not $last) {
            return
        }
    }
}

# --- jobs ---

# Ends a process with all that it has started.
function Endtree($id) {
    $info = New-Object Diagnostics.ProcessStartInfo
    $info.FileName = "$env:SystemRoot\System32\taskkill.exe"
    $info.Arguments = "/T /F /PID $id"
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $killer = [Diagnostics.Process]::Start($info)
    [void]$killer.WaitForExit(15000)
}

# One attempt; gives how it ended. The script is written anew each time: it removes itself.
function Attempt($spec, $job, $try, $code, $silent) {
    Surroundings
    $ps1 = "$job.$try.ps1"
    [IO.File]::WriteAllBytes("$dir\$ps1", [Convert]::FromBase64String($code))
    Touch "$dir\$job.$try.out"
    Touch "$dir\$job.$try.err"
    $info = New-Object Diagnostics.ProcessStartInfo
    $info.FileName = "$env:SystemRoot\System32\cmd.exe"
    $shell = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
    $info.Arguments = "/d /s /c `"$shell -NoProfile -NonInteractive -ExecutionPolicy Bypass -File .\$ps1 >$job.$try.out 2>$job.$try.err <nul`""
    $info.WorkingDirectory = $dir
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $began = $watch.ElapsedMilliseconds
    $process = [Diagnostics.Process]::Start($info)
    [IO.File]::WriteAllText("$dir\child", "$($process.Id)")
    $out = @{ file = [IO.File]::Open("$dir\$job.$try.out", 'Open', 'Read', 'ReadWrite') }
    $err = @{ file = [IO.File]::Open("$dir\$job.$try.err", 'Open', 'Read', 'ReadWrite') }
    $script:tokens = $spec.budget
    $how = ''
    $pause = 20
    $filled = $began
    while ($true) {
        $over = $process.WaitForExit($pause)
        $now = $watch.ElapsedMilliseconds
        if ($pause -lt 250) {
            $pause = [int]($pause * 1.5)
        }
        # 8 KiB a second are listed.
        $script:tokens = [Math]::Min($spec.budget, $script:tokens + [Math]::Floor(($now - $filled) * 8))
        $filled = $now
        if ($spec.most -gt 0 -and $out.file.Length -gt $spec.most -and -not $silent) {
            Rec "m$job.$($out.file.Length)"
            $how = 'k0'
        } elseif ([IO.File]::Exists("$dir\stop")) {
            $how = 'k0'
        } elseif ($spec.limit -gt 0 -and $now - $began -ge $spec.limit -and -not $over) {
            $how = 't0'
        }
        if ($how -ne '') {
            Endtree $process.Id
            [void]$process.WaitForExit(5000)
        }
        if (-not $silent) {
            $last = $over -or $how -ne ''
            Drain $out 'o' 'O' $job $spec.raw $last
            Drain $err 'e' 'E' $job $false $last
        }
        if ($how -ne '' -or $over) {
            break
        }
    }
    $out.file.Close()
    $err.file.Close()
    $script:took = [int](($watch.ElapsedMilliseconds - $began) / 10)
    if ($how -eq '') {
        $how = "e$($process.ExitCode)"
    }
    Forget "$dir\$ps1"
    Forget "$dir\$job.$try.out"
    Forget "$dir\$job.$try.err"
    return $how
}

# A job with all its attempts; gives whether the batch goes on.
function Job($job, $spec) {
    Rec "b$job"
    if ($spec.unless) {
        $how = Attempt $spec $job 0 $spec.unless $true
        if ($how -eq 'e0' -or $how[0] -ne 'e') {
            if ($how -eq 'e0') {
                $how = 'n0'
            }
            Rec "f$job.$how.1.$($script:took)"
            return ($how -eq 'n0' -or ($spec.allowed -and $how -ne 'k0'))
        }
    }
    $try = 1
    while ($true) {
        $how = Attempt $spec $job $try $spec.script $false
        $good = $how[0] -eq 'e' -and $spec.oks -contains [int]$how.Substring(1)
        if ($good -or $how -eq 'k0' -or $try -gt $spec.retry) {
            Rec "f$job.$how.$try.$($script:took)"
            return ($good -or ($spec.allowed -and $how -ne 'k0'))
        }
        Rec "r$job.$try.$how"
        $try += 1
        $until = $watch.ElapsedMilliseconds + $spec.delay
        while ($watch.ElapsedMilliseconds -lt $until -and -not [IO.File]::Exists("$dir\stop")) {
            Start-Sleep -Milliseconds ([int][Math]::Min(200, [Math]::Max(1, $until - $watch.ElapsedMilliseconds)))
        }
        if ([IO.File]::Exists("$dir\stop")) {
            return $false
        }
    }
}

# The jobs of a batch, in order.
function Batch($jobs) {
    for ($job = 0; $job -lt $jobs.Count; $job += 1) {
        if (-not (Job $job $jobs[$job])) {
            break
        }
    }
    Rec 'z'
}

# --- the work directory ---

# Begins a batch's directory, once; what earlier ones have left goes.
function Enter($number) {
    $script:dir = "$work\b$number"
    if ([IO.Directory]::Exists($dir)) {
        exit 0
    }
    foreach ($old in [IO.Directory]::GetDirectories($work)) {
        try {
            [IO.Directory]::Delete($old, $true)
        } catch {
            continue
        }
    }
    foreach ($old in [IO.Directory]::GetFiles($work, 'in.*')) {
        Forget $old
    }
    [void][IO.Directory]::CreateDirectory("$dir\s0")
    $me = [Diagnostics.Process]::GetCurrentProcess()
    [IO.File]::WriteAllText("$dir\runner", "$($me.Id) $($me.StartTime.ToFileTimeUtc())")
    [IO.File]::WriteAllText("$dir\boot", (Boot))
    $script:chunks = 0
    Newlog
}

# Whether the process that runs a batch is still there.
function Alive {
    try {
        $was = [IO.File]::ReadAllText("$dir\runner").Split(' ')
        $process = Get-Process -Id ([int]$was[0])
        return [string]$process.StartTime.ToFileTimeUtc() -eq $was[1]
    } catch {
        return $false
    }
}

# Says that nobody writes the log any more.
function Dead($said) {
    [void][IO.Directory]::CreateDirectory("$dir\s0")
    foreach ($s in [IO.Directory]::GetDirectories($dir, 's*')) {
        Touch "$s\dead.$said"
    }
}

# Ends what runs of a batch whose own process is gone, if anything does.
function Endchild {
    try {
        $child = [int][IO.File]::ReadAllText("$dir\child")
        if ((Get-Process -Id $child).ProcessName -eq 'cmd') {
            Endtree $child
        }
    } catch {
        return
    }
}

# Finds the work directory or makes it, and tells what was found: where the log of the batch begins that follows, or in a
# place whose name we were given.
function Open($nonce, $stamp, $guess, $known, $number, $ahead) {
    Surroundings
    $boot = Boot
    $script:work = "$([Environment]::GetFolderPath('UserProfile'))\.vmwbuild-$name"
    if ($known -ne '' -and [IO.Directory]::Exists($known)) {
        $script:work = $known
    }
    $fresh = 'old'
    if (-not [IO.Directory]::Exists($work)) {
        $fresh = 'fresh'
        $parent = [IO.Directory]::GetParent($work).FullName
        if (-not [IO.Directory]::Exists($parent)) {
            $script:work = "$env:SystemRoot\Temp\.vmwbuild-$name"
        }
        [void][IO.Directory]::CreateDirectory($work)
    }
    $state = 'looked'
    $began = ''
    if ($number -ne '') {
        $script:dir = "$work\b$number"
        if ([IO.File]::Exists("$dir\void")) {
            $state = [IO.File]::ReadAllText("$dir\void")
        } elseif ([IO.Directory]::Exists($dir)) {
            $state = 'begun'
            for ($n = 0; $n -lt 40 -and -not [IO.File]::Exists("$dir\boot"); $n += 1) {
                Start-Sleep -Milliseconds 250
            }
            $began = [IO.File]::ReadAllText("$dir\boot")
        } else {
            $state = $fresh
            Dead 'k0.0'
            [IO.File]::WriteAllText("$dir\void", $fresh)
        }
    }
    $age = [long][Math]::Floor([Diagnostics.Stopwatch]::GetTimestamp() / [Diagnostics.Stopwatch]::Frequency * 100)
    $text = "uid=0`nhome=$([Environment]::GetFolderPath('UserProfile'))`nwork=$work`ndec=base64`ntick=0.25`nboot=$boot`nage=$age`nbegan=$began`n"
    if ($ahead -ne '') {
        Enter $ahead
    }
    if ($ahead -eq '' -or $work -ne $guess) {
        # Places of other reports: who was told of them may be no more.
        foreach ($old in [IO.Directory]::GetFiles($work, 'm.*')) {
            $parts = [IO.Path]::GetFileName($old).Split('.')
            $place = "$env:SystemDrive\Users\Public\.vmwbuild-" + $parts[2]
            if ([long]$parts[1] -lt $stamp -and [IO.Directory]::Exists($place)) {
                [IO.Directory]::Delete($place, $true)
            }
        }
        [IO.File]::WriteAllText("$work\m.$stamp.$nonce", '')
        $then = $script:dir
        $script:dir = "$env:SystemDrive\Users\Public\.vmwbuild-$nonce"
        [void][IO.Directory]::CreateDirectory("$dir\s0")
        Newlog
        Fact $text
        Rec "k$state"
        $script:dir = $then
        Newlog
    } else {
        Fact $text
        Rec "k$state"
    }
}
