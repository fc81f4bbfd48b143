FROM scratch
ADD a.tar /
