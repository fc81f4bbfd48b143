#: args V=cli
FROM busybox
ARG V
COPY <<EOF /f
$V ${V:+set} \$V $$ $1 ${UNSET} $UNSET.
"quoted $V" 'single $V'
back\slash \\ \n
EOF
