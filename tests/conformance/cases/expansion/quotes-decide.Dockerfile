FROM busybox
ENV V=val
ENV A="$V" B='$V' C="'$V'" D='"$V"' E=x"$V"y'$V' F=\$V G="\$V"
