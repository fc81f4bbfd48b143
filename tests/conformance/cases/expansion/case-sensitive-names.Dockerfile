FROM busybox
ENV v=lower V=upper
ENV A=$v B=$V
