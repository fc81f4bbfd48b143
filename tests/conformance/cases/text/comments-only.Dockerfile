#: fails - file with no instructions
# nothing else here
