FROM busybox
RUN echo 1 > /f
RUN echo 2 >> /f
COPY <<EOF /g
g
EOF
RUN cat /g >> /f
