FROM busybox
ONBUILD   run   echo  x
ONBUILD workdir /x
