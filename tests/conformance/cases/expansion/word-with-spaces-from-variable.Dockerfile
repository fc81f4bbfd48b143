FROM busybox
ENV V="a b"
ENV A=$V B=x
LABEL l=$V
WORKDIR /w/$V
COPY a.txt "$V"/
