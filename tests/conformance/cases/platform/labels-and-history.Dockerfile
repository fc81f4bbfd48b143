#: platform linux/amd64,linux/arm64
#: label x=y
FROM platforms
ENV A=b
CMD ["a"]
