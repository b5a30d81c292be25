"""What a painted picture says of its own making, inside its PNG file.

Two texts: XMP with IPTC's digital source type, which tells programs that look for it that a model
made the picture, and under `nuthatch` all that is needed to paint it again, as JSON. Whoever saves
the pixels anew loses both; they are a help for honest people, no proof.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

Source = Literal["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]
"""IPTC's terms for a picture made by a model, and for one changed by it in part."""
XMP = "XML:com.adobe.xmp"
"""Where PNG keeps XMP (XMP specification part 3, section 1.1.5)."""
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/{source}\
</Iptc4xmpExt:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def provenance(source: Source, made: Mapping[str, Any]) -> Mapping[str, str]:
    """The texts of a PNG; `made` names the tool, its arguments and its model."""
    return {XMP: _PACKET.format(source=source), "nuthatch": json.dumps(made, ensure_ascii=False)}
