# escape=\
FROM busybox
RUN echo a \
  b > /out
ENV A=1 B="x y"
LABEL l=v
CMD ["a"]
WORKDIR /w
