FROM busybox
ENV P=archive.tar.gz
ENV A=${P%.*} B=${P%%.*} C=${P%.gz} D=${P%nothing} E=${P%?} F=${P%%*}
