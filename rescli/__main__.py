from rescli.cli.app import main

main()
