FROM busybox
ENV A=value
RUN ["sh", "-c", "echo $A > /out"]
RUN ["touch", "/file-$A"]
CMD ["echo", "$A"]
