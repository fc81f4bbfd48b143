FROM busybox
ENV A='$B' B=bee
ENV C=$A
