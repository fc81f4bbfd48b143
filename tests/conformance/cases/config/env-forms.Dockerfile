FROM busybox
ENV A=1
ENV B 2 3
ENV C="x y" D=x\ y E='x y' F=
ENV G="" A=again
