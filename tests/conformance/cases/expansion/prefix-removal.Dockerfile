FROM busybox
ENV P=/usr/local/lib/libx.so.1
ENV A=${P#*/} B=${P##*/} C=${P#/usr} D=${P#nothing} E=${P#[/u]*r} F=${P#?usr}
