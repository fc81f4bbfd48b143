FROM busybox
ENV V=builder
RUN V=shell; echo $V ${V:-x} '$V' > /out
CMD echo $V
ENTRYPOINT echo ${V}
