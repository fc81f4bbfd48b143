# escape=`
#: args WHO=x
FROM busybox
ARG WHO
ENV P=C:\dir\$WHO Q=`$WHO `
    R="a`"b"
RUN echo one `
    two > /out
COPY <<EOF /here
back\slash `$WHO $WHO
EOF
