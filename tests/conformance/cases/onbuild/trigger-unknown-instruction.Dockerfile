#: fails 4 ONBUILD trigger: unknown instruction: 'FOO'
FROM busybox AS base
ONBUILD FOO bar
FROM base
