#: fails 2 empty platform value from expression \$NOTHING
FROM --platform=$NOTHING busybox
