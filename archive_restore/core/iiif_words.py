"""The words of IIIF manifests, by language. Fields in braces are filled in by core.iiif_texts."""

from __future__ import annotations

from collections.abc import Mapping

DUBLIN_CORE_WORDS: Mapping[str, Mapping[str, str]] = {
    "title": {"en": "Title", "zh": "题名", "de": "Titel", "fr": "Titre", "es": "Título"},
    "creator": {"en": "Creator", "zh": "创建者", "de": "Urheber", "fr": "Créateur", "es": "Creador"},
    "subject": {"en": "Subject", "zh": "主题", "de": "Thema", "fr": "Sujet", "es": "Materia"},
    "description": {"en": "Description", "zh": "描述", "de": "Beschreibung", "fr": "Description", "es": "Descripción"},
    "publisher": {"en": "Publisher", "zh": "出版者", "de": "Verlag", "fr": "Éditeur", "es": "Editor"},
    "contributor": {
        "en": "Contributor", "zh": "其他贡献者", "de": "Mitwirkende", "fr": "Contributeur", "es": "Colaborador",
    },
    "date": {"en": "Date", "zh": "日期", "de": "Datum", "fr": "Date", "es": "Fecha"},
    "type": {"en": "Type", "zh": "类型", "de": "Art", "fr": "Type", "es": "Tipo"},
    "format": {"en": "Format", "zh": "格式", "de": "Format", "fr": "Format", "es": "Formato"},
    "identifier": {"en": "Identifier", "zh": "标识符", "de": "Signatur", "fr": "Identifiant", "es": "Identificador"},
    "source": {"en": "Source", "zh": "来源", "de": "Quelle", "fr": "Source", "es": "Fuente"},
    "language": {"en": "Language", "zh": "语种", "de": "Sprache", "fr": "Langue", "es": "Idioma"},
    "relation": {"en": "Relation", "zh": "关联", "de": "Beziehung", "fr": "Relation", "es": "Relación"},
    "coverage": {
        "en": "Place and period", "zh": "时空范围", "de": "Ort und Zeit", "fr": "Lieu et période",
        "es": "Lugar y época",
    },
    "rights": {"en": "Rights", "zh": "权限", "de": "Rechte", "fr": "Droits", "es": "Derechos"},
}  # fmt: skip
"""Names of the Dublin Core elements."""

IIIF_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "statement": "Record or story",
        "map": "Map of {ref}: what each pixel is",
        "legend": "Legend of the map of {ref}",
        "keeper": "Kept by {organization}.",
    },
    "zh": {
        "statement": "档案记录还是故事",
        "map": "{ref} 的说明图：每个像素的来源",
        "legend": "{ref} 说明图图例",
        "keeper": "由{organization}收藏。",
    },
    "de": {
        "statement": "Beleg oder Erzählung",
        "map": "Karte von {ref}: was jedes Pixel ist",
        "legend": "Legende der Karte von {ref}",
        "keeper": "Aufbewahrt von: {organization}.",
    },
    "fr": {
        "statement": "Document ou récit",
        "map": "Carte de {ref} : ce qu’est chaque pixel",
        "legend": "Légende de la carte de {ref}",
        "keeper": "Conservé par : {organization}.",
    },
    "es": {
        "statement": "Documento o relato",
        "map": "Mapa de {ref}: qué es cada píxel",
        "legend": "Leyenda del mapa de {ref}",
        "keeper": "Conservado por: {organization}.",
    },
}
"""What a manifest says beside what people wrote."""
