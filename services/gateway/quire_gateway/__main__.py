"""python -m quire_gateway [migrate | bootstrap [NAME EMAIL] | openapi]"""

import asyncio
import json
import sys

from quire_runtime.errors import StartupError

from . import openapi
from .bootstrap import bootstrap
from .main import SCHEMA, build, main
from .settings import GatewaySettings

match sys.argv[1:]:
    case []:
        main()
    case ["migrate"]:
        from quire_runtime.migrate import migrate  # here, so that a serving gateway does not carry it

        try:
            migrate(GatewaySettings.read().database_url, "quire_gateway", SCHEMA)
        except StartupError as error:
            sys.exit(str(error))
    case ["bootstrap", *names]:
        sys.stdout.write(asyncio.run(bootstrap(GatewaySettings(), *names[:2])) + "\n")
    case ["openapi"]:
        sys.stdout.write(json.dumps(openapi.document(build(GatewaySettings()).app), indent=2, sort_keys=True) + "\n")
    case _:
        sys.exit(__doc__)
