#: platform windows/amd64
FROM scratch
ENV A=b
ENTRYPOINT ["a"]
