#: fails 3 exit code: 1
FROM busybox
RUN <<EOF
#!/bin/sh -e
false
echo not here
EOF
