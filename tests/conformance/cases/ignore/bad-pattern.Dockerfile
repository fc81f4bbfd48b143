#: file .dockerignore [a-\n
#: fails - malformed pattern '\[a-': unclosed class
FROM busybox
COPY . /x
