#: fails 4 unknown instruction: 'x'
FROM busybox
RUN <<"EOF
x
EOF
