#: fails 2 exit code: 9
FROM onbuild-bad
