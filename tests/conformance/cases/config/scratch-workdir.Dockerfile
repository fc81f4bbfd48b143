FROM scratch
WORKDIR /w
