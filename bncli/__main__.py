from bncli.cli import main

main()
