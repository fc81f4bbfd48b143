FROM busybox
ENV V=a/b/c
ENV A=${V/\//_} B=${V//\//--} C=${V//b\/c/x}
