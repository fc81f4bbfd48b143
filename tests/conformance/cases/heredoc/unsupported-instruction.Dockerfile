#: fails 4 unknown instruction: 'x'
FROM busybox
ENV A=<<EOF
x
EOF
