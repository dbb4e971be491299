# Archives, read and written without tar.exe, which Windows has from 2019 on.

# A field of a header: text up to a NUL.
function Field($block, $at, $length) {
    $text = [Text.Encoding]::UTF8.GetString($block, $at, $length)
    $end = $text.IndexOf([char]0)
    if ($end -ge 0) {
        $text = $text.Substring(0, $end)
    }
    return $text
}

function Octal($text) {
    $text = $text.Trim()
    if ($text -eq '') {
        return 0
    }
    return [Convert]::ToInt64($text, 8)
}

function Fill($file, $block, $length) {
    $got = 0
    while ($got -lt $length) {
        $n = $file.Read($block, $got, $length - $got)
        if ($n -eq 0) {
            throw 'the archive arrived damaged'
        }
        $got += $n
    }
}

# Unpacks an archive whose names are of the form `C/dir/file`.
function Unpack($archive) {
    $file = [IO.File]::OpenRead($archive)
    $block = New-Object byte[] 65536
    $name = ''
    while ($file.Position -lt $file.Length) {
        Fill $file $block 512
        if ($block[0] -eq 0) {
            break
        }
        $size = Octal (Field $block 124 12)
        $kind = [char]$block[156]
        if ($name -eq '') {
            $name = Field $block 0 100
            $prefix = Field $block 345 155
            if ($prefix -ne '' -and $block[262] -eq 0) {
                $name = "$prefix/$name"
            }
        }
        $rest = $size
        $path = ''
        if ($kind -ne 'L') {
            $path = $name.Substring(0, 1) + ':' + $name.Substring(1).Replace('/', '\').TrimEnd('\')
        }
        if ($kind -eq 'L') {
            Fill $file $block $size
            $name = Field $block 0 $size
            $rest = 0
        } elseif ($kind -eq '5') {
            [void][IO.Directory]::CreateDirectory($path)
            $name = ''
        } elseif ($kind -eq '0') {
            [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
            $to = [IO.File]::Create($path)
            while ($rest -gt 0) {
                $n = [int][Math]::Min($rest, 65536)
                Fill $file $block $n
                $to.Write($block, 0, $n)
                $rest -= $n
            }
            $to.Close()
            $name = ''
        } else {
            throw "$path is neither a file nor a directory"
        }
        $over = $size % 512
        if ($over -ne 0) {
            Fill $file $block (512 - $over)
        }
    }
    $file.Close()
    [IO.File]::Delete($archive)
}

function Header($to, $name, $size, $kind) {
    $block = New-Object byte[] 512
    $long = [Text.Encoding]::UTF8.GetBytes($name)
    if ($long.Length -gt 99) {
        Header $to '././@LongLink' $long.Length 'L'
        $to.Write($long, 0, $long.Length)
        Pad $to $long.Length
        [Array]::Copy($long, $block, 99)
    } else {
        [Array]::Copy($long, $block, $long.Length)
    }
    $text = '0000644' + [char]0 + '0000000' + [char]0 + '0000000' + [char]0
    $text += [Convert]::ToString([long]$size, 8).PadLeft(11, '0') + [char]0 + '00000000000' + [char]0 + '        ' + $kind
    $rest = [Text.Encoding]::ASCII.GetBytes($text)
    [Array]::Copy($rest, 0, $block, 100, $rest.Length)
    $magic = [Text.Encoding]::ASCII.GetBytes('ustar  ')
    [Array]::Copy($magic, 0, $block, 257, $magic.Length)
    $sum = 0
    foreach ($b in $block) {
        $sum += $b
    }
    $digits = [Text.Encoding]::ASCII.GetBytes([Convert]::ToString([long]$sum, 8).PadLeft(6, '0') + [char]0 + ' ')
    [Array]::Copy($digits, 0, $block, 148, 8)
    $to.Write($block, 0, 512)
}

function Pad($to, $size) {
    $over = $size % 512
    if ($over -ne 0) {
        $to.Write((New-Object byte[] 512), 0, 512 - $over)
    }
}

function Add($to, $path) {
    $name = $path.Substring(0, 1).ToUpper() + $path.Substring(2).Replace('\', '/')
    if ([IO.Directory]::Exists($path)) {
        Header $to "$name/" 0 '5'
        foreach ($below in [IO.Directory]::GetFileSystemEntries($path)) {
            Add $to $below
        }
        return
    }
    if (-not [IO.File]::Exists($path)) {
        throw "$path`: no such file or directory"
    }
    $file = [IO.File]::Open($path, 'Open', 'Read', 'ReadWrite')
    $size = $file.Length
    Header $to $name $size '0'
    $block = New-Object byte[] 65536
    $rest = $size
    while ($rest -gt 0) {
        $n = [int][Math]::Min($rest, 65536)
        Fill $file $block $n
        $to.Write($block, 0, $n)
        $rest -= $n
    }
    $file.Close()
    Pad $to $size
}

# Packs files, prints the archive's size in a line, and the archive behind it when it has at most $limit bytes.
function Pack($archive, $paths, $limit) {
    $to = [IO.File]::Create($archive)
    foreach ($path in $paths) {
        Add $to $path.TrimEnd('\')
    }
    $to.Write((New-Object byte[] 1024), 0, 1024)
    $to.Close()
    $out = [Console]::OpenStandardOutput()
    $size = (New-Object IO.FileInfo $archive).Length
    $line = [Text.Encoding]::ASCII.GetBytes("$size`n")
    $out.Write($line, 0, $line.Length)
    if ($size -le $limit) {
        $all = [IO.File]::ReadAllBytes($archive)
        $out.Write($all, 0, $all.Length)
        [IO.File]::Delete($archive)
    }
    $out.Flush()
}
