FROM busybox
ENV A=a#b B=#c
RUN echo x # a comment of the shell > /dev/null
RUN echo "# kept" > /out
LABEL l="# no comment"
