#: fails 2 unknown instruction: 'form'
form busybox
