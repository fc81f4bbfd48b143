FROM busybox
RUN <<EOF
echo one
echo two
EOF
COPY <<a <<b /dst/
x
a
y
b
RUN cat <<EOF > /out
in a command
EOF
