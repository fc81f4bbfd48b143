#: fails 3 unknown instruction: 'FOO'
FROM busybox
FOO
BAR
