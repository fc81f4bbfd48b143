FROM busybox
ENV V=val V2=other
ENV A=$V.x B=$V-x C=$V_x D=$V2 E=${V}2 F=$V/x G=$ H=$$V I=$1 J=a$
