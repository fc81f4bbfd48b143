FROM busybox
ENV A=a,b;c&d B=(x) C={y} D=a*b? E=~ F=!x G=a|b H=<t>
