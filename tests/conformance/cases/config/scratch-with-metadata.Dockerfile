FROM scratch
ENV A=1
LABEL x=y
CMD ["/x"]
