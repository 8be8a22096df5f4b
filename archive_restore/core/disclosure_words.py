"""The words of disclosures, by language. Fields in braces are filled in by core.disclosure."""

from __future__ import annotations

from collections.abc import Mapping

from archive_restore.records.imagery import PixelFlag

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "about_master": "This is a copy of the digitized photograph {item}.",
        "about_record": "This is a restoration of the photograph {item}. It belongs to the record: every pixel that "
        "is not marked in its map equals the digitized photograph bit for bit.",
        "about_story": "This is a story told from the photograph {item}. It shows what may have been, not what the "
        "camera recorded; it is no evidence. The photograph itself is kept unchanged{keeper}.",
        "keeper": " by {organization}",
        "done": "What was done",
        "restoration": "{ref}, from {parent}, {day}: damage filled, everything else left as found.",
        "enhancement": "{ref}, from {parent}, {day}: enlarged, repaired or completed.",
        "colorization": "{ref}, from {parent}, {day}: colours added, light and dark kept.",
        "animation": "{ref}, from {parent}, {day}: set in motion.",
        "steps": "Steps: {steps}.",
        "models": "Trained models: {models}.",
        "no_models": "No trained model took part.",
        "shares": "What the pixels are ({count} pixels; one may be several of these)",
        "people": "What people decided",
        "decision": "{what} ({author}, {when})",
        "decision_why": "{what}: {reason} ({author}, {when})",
        "somebody": "name not given",
        "approved": "Approved for use by {by} on {day}.",
        "rejected": "Rejected by {by} on {day}.",
        "review_note": "{review} Their note: {note}",
        "notes": "To be known when it is shown",
        "credentials": "Content credentials (C2PA) with the whole history, and the map that says what each pixel is, "
        "are inside the file.",
        "credentials_master": "Content credentials (C2PA) with the whole history are inside the file.",
        "credentials_short": "Content credentials inside.",
        "record_short": "Restored; {original} of the pixels as digitized.",
        "master_short": "As digitized.",
        "encoding": "JPEG at quality {quality}, 4:4:4; decoded it differs from what was encoded by {mean} code values "
        "on average and {maximum} at most, of 255 (PSNR {psnr} dB).",
        "clip_encoding": "The clip is the stored one, not encoded again: H.264, 4:2:0; decoded its frames differ from "
        "what was encoded by {mean} code values on average and {maximum} at most, of 255 (PSNR {psnr} dB). "
        "Its label is part of every frame.",
        "encoding_exact": "JPEG at quality {quality}, 4:4:4; every sample decodes to what was encoded.",
        "untitled": "untitled",
        "master_caption": "Photograph as digitized.",
        "record_caption": "Restored photograph.",
    },
    "zh": {
        "about_master": "这是数字化照片 {item} 的副本。",
        "about_record": "这是照片 {item} 的修复件，属于档案记录：图中未标记的每一个像素都与数字化原件逐位相同。",
        "about_story": "这是根据照片 {item} 讲述的故事。它展示的是可能的样貌，而非相机所记录的内容，不能作为证据。"
        "照片原件保持不变{keeper}。",
        "keeper": "，由{organization}保管",
        "done": "所做的处理",
        "restoration": "{ref}，源自 {parent}，{day}：填补损伤，其余保持原样。",
        "enhancement": "{ref}，源自 {parent}，{day}：放大、修补或补全。",
        "colorization": "{ref}，源自 {parent}，{day}：添加色彩，明暗保持不变。",
        "animation": "{ref}，源自 {parent}，{day}：使其活动。",
        "steps": "步骤：{steps}。",
        "models": "所用训练模型：{models}。",
        "no_models": "未使用训练模型。",
        "shares": "像素构成（共 {count} 像素；同一像素可属多类）",
        "people": "由人作出的决定",
        "decision": "{what}（{author}，{when}）",
        "decision_why": "{what}：{reason}（{author}，{when}）",
        "somebody": "未署名",
        "approved": "由 {by} 于 {day} 批准使用。",
        "rejected": "由 {by} 于 {day} 否决。",
        "review_note": "{review}附注：{note}",
        "notes": "展示时须知",
        "credentials": "文件内含内容凭证（C2PA）：完整的处理历史，以及说明每个像素来源的图。",
        "credentials_master": "文件内含内容凭证（C2PA）：完整的处理历史。",
        "credentials_short": "内含内容凭证。",
        "record_short": "已修复；{original} 的像素与数字化原件相同。",
        "master_short": "数字化原貌。",
        "encoding": "JPEG，质量 {quality}，4:4:4；解码后与编码前相比，平均相差 {mean}、最多相差 {maximum} 个码值"
        "（满值 255；PSNR {psnr} dB）。",
        "clip_encoding": "此短片即档案中所存的短片，未再次编码：H.264，4:2:0；解码后的画面与编码前相比，"
        "平均相差 {mean}、最多相差 {maximum} 个码值（满值 255；PSNR {psnr} dB）。标签是每一帧画面的一部分。",
        "encoding_exact": "JPEG，质量 {quality}，4:4:4；解码后每个样本都与编码前相同。",
        "untitled": "无题",
        "master_caption": "数字化照片。",
        "record_caption": "经修复的照片。",
    },
    "de": {
        "about_master": "Dies ist eine Kopie der digitalisierten Fotografie {item}.",
        "about_record": "Dies ist eine Restaurierung der Fotografie {item}. Sie gehört zum Bestand: Jedes Pixel, das "
        "in ihrer Karte nicht gekennzeichnet ist, gleicht der digitalisierten Fotografie Bit für Bit.",
        "about_story": "Dies ist eine Erzählung nach der Fotografie {item}. Sie zeigt, was gewesen sein mag, nicht "
        "was die Kamera aufgenommen hat; sie ist kein Beleg. Die Fotografie selbst bleibt unverändert{keeper}.",
        "keeper": " erhalten bei: {organization}",
        "done": "Was getan wurde",
        "restoration": "{ref}, aus {parent}, {day}: Schäden gefüllt, alles andere belassen.",
        "enhancement": "{ref}, aus {parent}, {day}: vergrößert, ausgebessert oder ergänzt.",
        "colorization": "{ref}, aus {parent}, {day}: Farben hinzugefügt, Hell und Dunkel belassen.",
        "animation": "{ref}, aus {parent}, {day}: in Bewegung versetzt.",
        "steps": "Schritte: {steps}.",
        "models": "Trainierte Modelle: {models}.",
        "no_models": "Kein trainiertes Modell war beteiligt.",
        "shares": "Was die Pixel sind ({count} Pixel; eines kann mehreres davon sein)",
        "people": "Was Menschen entschieden haben",
        "decision": "{what} ({author}, {when})",
        "decision_why": "{what}: {reason} ({author}, {when})",
        "somebody": "ohne Namensangabe",
        "approved": "Freigegeben von {by} am {day}.",
        "rejected": "Abgelehnt von {by} am {day}.",
        "review_note": "{review} Vermerk: {note}",
        "notes": "Beim Zeigen zu wissen",
        "credentials": "Herkunftsnachweise (C2PA) mit der ganzen Geschichte und der Karte, die sagt, was jedes Pixel "
        "ist, liegen in der Datei.",
        "credentials_master": "Herkunftsnachweise (C2PA) mit der ganzen Geschichte liegen in der Datei.",
        "credentials_short": "Mit Herkunftsnachweisen.",
        "record_short": "Restauriert; {original} der Pixel wie digitalisiert.",
        "master_short": "Wie digitalisiert.",
        "encoding": "JPEG mit Qualität {quality}, 4:4:4; decodiert weicht es von dem, was codiert wurde, im Mittel um "
        "{mean} und höchstens um {maximum} von 255 Codewerten ab (PSNR {psnr} dB).",
        "clip_encoding": "Der Clip ist der gespeicherte, nicht neu codiert: H.264, 4:2:0; decodiert weichen seine "
        "Bilder von dem, was codiert wurde, im Mittel um {mean} und höchstens um {maximum} von 255 Codewerten ab "
        "(PSNR {psnr} dB). Die Kennzeichnung ist Teil jedes Bildes.",
        "encoding_exact": "JPEG mit Qualität {quality}, 4:4:4; decodiert gleicht jeder Wert dem, was codiert wurde.",
        "untitled": "ohne Titel",
        "master_caption": "Fotografie, wie digitalisiert.",
        "record_caption": "Restaurierte Fotografie.",
    },
    "fr": {
        "about_master": "Ceci est une copie de la photographie numérisée {item}.",
        "about_record": "Ceci est une restauration de la photographie {item}. Elle fait partie du fonds : tout pixel "
        "qui n’est pas marqué dans sa carte est identique, bit pour bit, à la photographie numérisée.",
        "about_story": "Ceci est un récit fait d’après la photographie {item}. Il montre ce qui a pu être, non ce que "
        "l’appareil a enregistré ; il ne prouve rien. La photographie elle-même reste inchangée{keeper}.",
        "keeper": ", conservée par {organization}",
        "done": "Ce qui a été fait",
        "restoration": "{ref}, d’après {parent}, {day} : dommages comblés, tout le reste laissé en l’état.",
        "enhancement": "{ref}, d’après {parent}, {day} : agrandissement, réparation ou complément.",
        "colorization": "{ref}, d’après {parent}, {day} : couleurs ajoutées, clair et foncé conservés.",
        "animation": "{ref}, d’après {parent}, {day} : mise en mouvement.",
        "steps": "Étapes : {steps}.",
        "models": "Modèles entraînés : {models}.",
        "no_models": "Aucun modèle entraîné n’a servi.",
        "shares": "Ce que sont les pixels ({count} pixels ; un même pixel peut être compté plusieurs fois)",
        "people": "Ce que des personnes ont décidé",
        "decision": "{what} ({author}, {when})",
        "decision_why": "{what} : {reason} ({author}, {when})",
        "somebody": "sans nom",
        "approved": "Approuvé par {by} le {day}.",
        "rejected": "Refusé par {by} le {day}.",
        "review_note": "{review} Note : {note}",
        "notes": "À savoir en le montrant",
        "credentials": "Des attestations de contenu (C2PA), avec toute l’histoire et la carte qui dit ce qu’est "
        "chaque pixel, sont dans le fichier.",
        "credentials_master": "Des attestations de contenu (C2PA), avec toute l’histoire, sont dans le fichier.",
        "credentials_short": "Avec attestations de contenu.",
        "record_short": "Restaurée ; {original} des pixels tels que numérisés.",
        "master_short": "Telle que numérisée.",
        "encoding": "JPEG de qualité {quality}, 4:4:4 ; décodé, il s’écarte de ce qui a été codé de {mean} valeurs en "
        "moyenne et de {maximum} au plus, sur 255 (PSNR {psnr} dB).",
        "clip_encoding": "Le clip est celui qui est conservé, sans nouveau codage : H.264, 4:2:0 ; décodées, ses "
        "images s’écartent de ce qui a été codé de {mean} valeurs en moyenne et de {maximum} au plus, sur 255 "
        "(PSNR {psnr} dB). La mention fait partie de chaque image.",
        "encoding_exact": "JPEG de qualité {quality}, 4:4:4 ; décodée, chaque valeur est celle qui a été codée.",
        "untitled": "sans titre",
        "master_caption": "Photographie telle que numérisée.",
        "record_caption": "Photographie restaurée.",
    },
    "es": {
        "about_master": "Esta es una copia de la fotografía digitalizada {item}.",
        "about_record": "Esta es una restauración de la fotografía {item}. Pertenece al fondo: todo píxel que no está "
        "marcado en su mapa es idéntico, bit a bit, a la fotografía digitalizada.",
        "about_story": "Este es un relato a partir de la fotografía {item}. Muestra lo que pudo haber sido, no lo que "
        "registró la cámara; no es una prueba. La fotografía misma se conserva sin cambios{keeper}.",
        "keeper": " en {organization}",
        "done": "Qué se hizo",
        "restoration": "{ref}, de {parent}, {day}: daños rellenados, todo lo demás como se encontró.",
        "enhancement": "{ref}, de {parent}, {day}: ampliada, reparada o completada.",
        "colorization": "{ref}, de {parent}, {day}: colores añadidos, claros y oscuros conservados.",
        "animation": "{ref}, de {parent}, {day}: puesta en movimiento.",
        "steps": "Pasos: {steps}.",
        "models": "Modelos entrenados: {models}.",
        "no_models": "No intervino ningún modelo entrenado.",
        "shares": "Qué son los píxeles ({count} píxeles; uno puede ser varias de estas cosas)",
        "people": "Qué decidieron las personas",
        "decision": "{what} ({author}, {when})",
        "decision_why": "{what}: {reason} ({author}, {when})",
        "somebody": "sin nombre",
        "approved": "Aprobado por {by} el {day}.",
        "rejected": "Rechazado por {by} el {day}.",
        "review_note": "{review} Nota: {note}",
        "notes": "Conviene saber al mostrarla",
        "credentials": "Las credenciales de contenido (C2PA), con toda la historia y el mapa que dice qué es cada "
        "píxel, están en el archivo.",
        "credentials_master": "Las credenciales de contenido (C2PA), con toda la historia, están en el archivo.",
        "credentials_short": "Con credenciales de contenido.",
        "record_short": "Restaurada; {original} de los píxeles como se digitalizaron.",
        "master_short": "Como se digitalizó.",
        "encoding": "JPEG de calidad {quality}, 4:4:4; descodificado difiere de lo codificado en {mean} valores de "
        "media y {maximum} como máximo, de 255 (PSNR {psnr} dB).",
        "clip_encoding": "El clip es el conservado, sin volver a codificarlo: H.264, 4:2:0; descodificados, sus "
        "fotogramas difieren de lo codificado en {mean} valores de media y {maximum} como máximo, de 255 "
        "(PSNR {psnr} dB). La etiqueta forma parte de cada fotograma.",
        "encoding_exact": "JPEG de calidad {quality}, 4:4:4; descodificado, cada valor es el que se codificó.",
        "untitled": "sin título",
        "master_caption": "Fotografía digitalizada.",
        "record_caption": "Fotografía restaurada.",
    },
}  # fmt: skip

FLAGS: Mapping[str, Mapping[PixelFlag, str]] = {
    "en": {
        PixelFlag.ORIGINAL: "as digitized, bit for bit",
        PixelFlag.ADJUSTED: "tone or colour adjusted",
        PixelFlag.RESAMPLED: "resampled",
        PixelFlag.FILTERED: "filtered",
        PixelFlag.INTERPOLATED: "filled from the surroundings",
        PixelFlag.SYNTHESIZED: "made by a trained model",
        PixelFlag.COLORIZED: "coloured by software",
        PixelFlag.HUMAN: "decided by a person",
        PixelFlag.MOVED: "moved",
    },
    "zh": {
        PixelFlag.ORIGINAL: "与数字化原件逐位相同",
        PixelFlag.ADJUSTED: "调整过色调或色彩",
        PixelFlag.RESAMPLED: "重新采样",
        PixelFlag.FILTERED: "经滤波",
        PixelFlag.INTERPOLATED: "依周围内容填补",
        PixelFlag.SYNTHESIZED: "由训练模型生成",
        PixelFlag.COLORIZED: "由软件上色",
        PixelFlag.HUMAN: "由人决定",
        PixelFlag.MOVED: "被移动",
    },
    "de": {
        PixelFlag.ORIGINAL: "wie digitalisiert, Bit für Bit",
        PixelFlag.ADJUSTED: "in Ton oder Farbe angepasst",
        PixelFlag.RESAMPLED: "neu abgetastet",
        PixelFlag.FILTERED: "gefiltert",
        PixelFlag.INTERPOLATED: "aus der Umgebung gefüllt",
        PixelFlag.SYNTHESIZED: "von einem trainierten Modell erzeugt",
        PixelFlag.COLORIZED: "von Software koloriert",
        PixelFlag.HUMAN: "von einem Menschen entschieden",
        PixelFlag.MOVED: "bewegt",
    },
    "fr": {
        PixelFlag.ORIGINAL: "tels que numérisés, bit pour bit",
        PixelFlag.ADJUSTED: "ajustés en ton ou en couleur",
        PixelFlag.RESAMPLED: "rééchantillonnés",
        PixelFlag.FILTERED: "filtrés",
        PixelFlag.INTERPOLATED: "comblés d’après leur entourage",
        PixelFlag.SYNTHESIZED: "créés par un modèle entraîné",
        PixelFlag.COLORIZED: "colorisés par un logiciel",
        PixelFlag.HUMAN: "décidés par une personne",
        PixelFlag.MOVED: "déplacés",
    },
    "es": {
        PixelFlag.ORIGINAL: "como se digitalizaron, bit a bit",
        PixelFlag.ADJUSTED: "ajustados en tono o color",
        PixelFlag.RESAMPLED: "remuestreados",
        PixelFlag.FILTERED: "filtrados",
        PixelFlag.INTERPOLATED: "rellenados según su entorno",
        PixelFlag.SYNTHESIZED: "creados por un modelo entrenado",
        PixelFlag.COLORIZED: "coloreados por software",
        PixelFlag.HUMAN: "decididos por una persona",
        PixelFlag.MOVED: "desplazados",
    },
}
"""What the pixels of each flag are."""

COMMA = frozenset({"de", "fr", "es"})
"""Languages that write a comma before decimals and a space before the per cent sign."""
