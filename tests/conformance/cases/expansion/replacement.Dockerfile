FROM busybox
ENV V=a-b-c
ENV A=${V/-/_} B=${V//-/_} C=${V/b/} D=${V//x/y} E=${V/*-/z} F=${V//[ab]/q} G=${V/-/}
