#: annotation org.example.a=b
#: label org.example.a=label
FROM scratch
COPY <<EOF /f
x
EOF
