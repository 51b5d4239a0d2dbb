# What `make run` and `make test` do elsewhere, for Windows:
#
#   powershell -ExecutionPolicy Bypass -File packaging\run.ps1 run  [arguments for realtime-ser]
#   powershell -ExecutionPolicy Bypass -File packaging\run.ps1 test [arguments for pytest]
#
# The rules are in packaging\bootstrap.py, for all systems. The wheels bring every library that they need on Windows.
#
# No param block: PowerShell would take options such as -k for its own.
$Task = if ($args.Count -gt 0) { $args[0] } else { "run" }
$Rest = @($args | Select-Object -Skip 1)
if ($Task -notin @("run", "test", "doctor")) {
    Write-Host "What to do? One of: run, test, doctor. ('$Task' is none of them.)"
    exit 2
}

$root = Split-Path -Parent $PSScriptRoot
$bootstrap = Join-Path $PSScriptRoot "bootstrap.py"
$scripts = Join-Path $root ".venv\Scripts"

# The launcher knows installed Pythons that are not on the path; a bare `python` may be the shop window of the Microsoft Store,
# which fails on -c. Python 3.14 last: not every package has a build for it yet.
$candidates = @(@("py", "-3.13"), @("py", "-3.12"), @("py", "-3.11"), @("python"), @("python3"), @("py", "-3.14"))
$python = $null
foreach ($candidate in $candidates) {
    if (-not (Get-Command $candidate[0] -ErrorAction SilentlyContinue)) { continue }
    $options = @($candidate | Select-Object -Skip 1)
    & $candidate[0] @options -c "import struct, sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 14) and struct.calcsize('P') == 8))" 2>$null
    if ($LASTEXITCODE -eq 0) { $python = $candidate; break }
}
if ($null -eq $python) {
    Write-Host "Realtime SER needs 64-bit Python 3.11, 3.12, 3.13 or 3.14, and none was found here."
    Write-Host "  winget install Python.Python.3.13     or from https://www.python.org/downloads/windows/"
    exit 2
}

$options = @($python | Select-Object -Skip 1)
& $python[0] @options $bootstrap $Task
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }

switch ($Task) {
    "run" { & (Join-Path $scripts "realtime-ser.exe") @Rest }
    "test" { & (Join-Path $scripts "python.exe") (Join-Path $PSScriptRoot "check.py") @Rest }
}
exit $LASTEXITCODE
