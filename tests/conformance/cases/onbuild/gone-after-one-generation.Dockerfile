#: file hello.txt hello\n
FROM onbuild AS one
FROM one
RUN echo again > /again
